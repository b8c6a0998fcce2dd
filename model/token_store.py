"""The tokens of a store's clips, made once and kept in Parquet: what a video model is trained on.

Below the cache, a folder whose name is a hash of all that the tokens depend on holds

* ``tokens-00000.parquet`` ...: a row a clip, `PART_SIZE` clips a part. A clip that cannot be used
  has a row too, with the reason;
* ``tokens.json``: what the hash was made of, and the sha256 of the parts. Written last.

Every file is written under a temporary name and renamed: whoever is stopped goes on where it was. A
part that is damaged or holds other tokens is made again, as is one that left out a clip which can
be used by now. The same input gives the same bytes.

Shapes: N clips of T frames; t x h x w visual tokens (`model.video_tokens.codec`); k motion tokens a
frame.
"""

import functools
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from datasets.bodies.smplx import load_body
from datasets.motion import mirrored_channels, split_channels
from datasets.store.reader import ClipStore
from datasets.store.schema import StoreError, inside
from datasets.tools.files import hash_lines, locked, read_json, replacing, sha256_of, write_json
from datasets.video.files import read_frames
from datasets.video.probe import VideoError, probe
from model.tokenizer import MotionTokenizer
from model.training.checkpoint import weights_sha256
from model.video_tokens.codec import VideoCodec, latent_shape

SCHEMA_VERSION = 1
PART_SIZE = 256  # clips of a file
_KEY = b"key"
_BYTES_AT_ONCE = 64 << 20  # of pictures given to the codec


class TokenStoreError(ValueError):
    """Clips cannot be made tokens. The message says why, in one line."""


@dataclass(frozen=True, eq=False)
class TokenClips:
    """Clips as tokens.

    Attributes:
        ids: of the N clips, in the order asked for.
        visual: (N, t, h, w) int32.
        motion: (N, T k) int32, frame-major.
        skipped: id and reason of each clip that was left out.
        sha256: of the tokens and of what they were made from and by: what a training run pins.
    """

    ids: tuple[str, ...]
    visual: np.ndarray
    motion: np.ndarray
    skipped: tuple[tuple[str, str], ...]
    sha256: str


def tokenise(
    store: ClipStore,
    ids: Sequence[str],
    codec: VideoCodec,
    tokenizer: MotionTokenizer,
    cache: Path,
    *,
    mirrored: bool = False,
    progress: bool = True,
) -> TokenClips:
    """The tokens of clips of a store, read from the cache or made and kept there.

    A clip is left out if it has no SMPL-X motion, or if its video is missing, cannot be read, is
    not the one that the store was made with, or has not the length of a clip and the commonest size
    of these videos. Of two processes that want the same tokens, the second waits for the first.

    Args:
        store: clips with videos and motions.
        ids: of the clips.
        codec: makes the visual tokens.
        tokenizer: makes the motion tokens.
        cache: folder for the tokens of any store, codec and tokenizer; made if needed.
        mirrored: of the clips' mirror images, for training: their colour channels change places,
            too, so that they show new clothes.
        progress: show progress on stderr.

    Raises:
        KeyError: the store has no clip of that id.
        TokenStoreError: none of the clips can be used.
        ValueError: the codec takes no videos of this length or size.
        OSError: the cache cannot be written.
    """
    job = _Job(store, tuple(ids), codec, tokenizer, mirrored)
    folder = Path(cache) / job.key
    with locked(folder / "lock"):
        table = _current(job, folder, progress=progress)
    usable = pc.equal(table.column("reason"), "")
    clips, others = table.filter(usable), table.filter(pc.invert(usable))
    names = tuple(clips.column("clip_id").to_pylist())
    skipped = tuple((row["clip_id"], row["reason"]) for row in others.to_pylist())
    if not names:
        raise TokenStoreError(
            f"none of {len(skipped)} clips of {store.path} can be used; {skipped[0][0]}: "
            f"{skipped[0][1]}"
        )
    visual, motion = (_array(clips.column(name)) for name in ("visual", "motion"))
    digest = hashlib.sha256("\n".join([job.key, *names, ""]).encode())
    digest.update(visual)
    digest.update(motion)
    return TokenClips(
        ids=names,
        visual=visual.reshape(-1, *job.latents),
        motion=motion,
        skipped=skipped,
        sha256=digest.hexdigest(),
    )


def join(parts: Sequence[TokenClips]) -> TokenClips:
    """The clips of all parts, at least one, in order.

    Raises:
        TokenStoreError: pictures of several sizes.
    """
    sizes = sorted({part.visual.shape[1:] for part in parts})
    if len(sizes) > 1:
        raise TokenStoreError(
            f"the stores have videos of {sizes[0]} and of {sizes[1]} visual tokens (frames, "
            "height, width): prepare one of them again with --size"
        )
    return functools.reduce(_joined, parts)


def _joined(first: TokenClips, second: TokenClips) -> TokenClips:
    return TokenClips(
        ids=first.ids + second.ids,
        visual=np.concatenate([first.visual, second.visual]),
        motion=np.concatenate([first.motion, second.motion]),
        skipped=first.skipped + second.skipped,
        sha256=hashlib.sha256(f"{first.sha256} {second.sha256}".encode()).hexdigest(),
    )


class _Job:
    """Clips, and what makes them tokens."""

    def __init__(
        self,
        store: ClipStore,
        ids: tuple[str, ...],
        codec: VideoCodec,
        tokenizer: MotionTokenizer,
        mirrored: bool,
    ):
        self.store, self.ids, self.codec, self.tokenizer = store, ids, codec, tokenizer
        self.mirrored = mirrored
        columns = ["clip_id", "body", "video_path", "video_size"]
        self.facts = {row["clip_id"]: row for row in store.index.select(columns).to_pylist()}
        sizes = Counter(self.facts[name]["video_size"] for name in ids)
        del sizes[0]  # of clips without a video
        if not sizes:
            raise TokenStoreError(f"none of {len(ids)} clips of {store.path} has a video")
        self.size = sizes.most_common(1)[0][0]
        self.latents = latent_shape(store.num_frames, self.size, self.size)
        self.inputs = {
            "schema_version": SCHEMA_VERSION,
            "store_sha256": store.sha256,
            "ids_sha256": hash_lines(ids),
            "codec": codec.identity(),
            "tokenizer": tokenizer.config.to_dict(),
            "tokenizer_sha256": weights_sha256(tokenizer),
        }
        if mirrored:
            self.inputs |= {"mirrored": True, "body": load_body().sha256}
        text = json.dumps(self.inputs, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:16]
        # The lists of a clip that cannot be used are zeros: nulls in them do not survive.
        num_motion = store.num_frames * tokenizer.config.tokens_per_frame
        self.schema = pa.schema(
            [
                ("clip_id", pa.string()),
                ("reason", pa.string()),  # why the clip cannot be used; empty where it can
                ("visual", pa.list_(pa.int32(), int(np.prod(self.latents)))),
                ("motion", pa.list_(pa.int32(), num_motion)),
            ],
            metadata={_KEY: self.key},
        )

    def pictures(self, name: str) -> np.ndarray | str:
        """The pictures (T, size, size, 3) uint8 of a clip, or why it cannot be used."""
        facts = self.facts[name]
        if facts["body"] != "smplx":
            return "it has no SMPL-X motion"
        if not facts["video_path"]:
            return "it has no video"
        try:
            path = inside(self.store.path, facts["video_path"])
            info = probe(path)
            found = (info.num_frames, info.height, info.width)
            wanted = (self.store.num_frames, self.size, self.size)
            if found != wanted:
                return f"its video has frames x height x width {found}, not {wanted}"
            frames = np.stack(list(read_frames(path, range(info.num_frames), info=info)))
        except StoreError:
            return "its video is outside the store"
        except VideoError as error:
            return f"its video: {error.why}"
        except OSError as error:
            return f"its video cannot be read: {error.strerror}"
        # Last, so that what ails a damaged file is said where it can be.
        return self.store.video_fault(name) or frames

    def rows(self, ids: Sequence[str], bar: tqdm) -> pa.Table:
        """Rows of `schema` of some clips."""
        at_once = max(1, _BYTES_AT_ONCE // (self.store.num_frames * self.size**2 * 3))
        visual = np.zeros((len(ids), *self.latents), np.int32)
        motion = np.zeros((len(ids), self.schema.field("motion").type.list_size), np.int32)
        reasons = [""] * len(ids)
        for start in range(0, len(ids), at_once):
            own, pictures = [], []
            for row, name in enumerate(ids[start : start + at_once], start):
                found = self.pictures(name)
                if isinstance(found, str):
                    reasons[row] = found
                else:
                    own.append(row)
                    pictures.append(found[:, :, ::-1, [1, 2, 0]] if self.mirrored else found)
                bar.update()
            if own:
                visual[own] = self.codec.encode(np.stack(pictures))
                channels = self.store.channels([ids[row] for row in own])
                if self.mirrored:
                    rest = load_body().rest_joints(split_channels(channels)["betas"])[..., 0, :]
                    channels = mirrored_channels(channels, rest)
                motion[own] = self.tokenizer.encode_channels(channels)
        columns = [list(ids), reasons, _lists(visual), _lists(motion)]
        return pa.table(columns, schema=self.schema)


def _current(job: _Job, folder: Path, *, progress: bool) -> pa.Table:
    """The rows of all clips of a job; makes the parts that its folder lacks."""
    hashes = (read_json(folder / "tokens.json") or {}).get("parts")  # of a job that came to its end
    hashes = hashes if isinstance(hashes, dict) else {}
    tables, digests = [], {}
    with tqdm(total=len(job.ids), desc="tokens", unit="clip", disable=not progress) as bar:
        for number, start in enumerate(range(0, len(job.ids), PART_SIZE)):
            path, ids = folder / f"tokens-{number:05d}.parquet", job.ids[start : start + PART_SIZE]
            table = _read_part(path, job, ids, hashes.get(path.name))
            if table is None:
                if path.exists():
                    print(f"{path} is damaged or not of these clips: made again", file=sys.stderr)
                table = job.rows(ids, bar)
                with replacing(path) as temporary:
                    pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
            else:
                bar.update(len(ids))
            tables.append(table)
            digests[path.name] = sha256_of(path)
    if digests != hashes:
        write_json(folder / "tokens.json", {**job.inputs, "parts": digests})
    return pa.concat_tables(tables)


def _read_part(path: Path, job: _Job, ids: Sequence[str], sha256: str | None) -> pa.Table | None:
    """The rows in a file, or None if they are not what `job.rows` would give for these clips.

    Without a `sha256` of a job that came to its end, damage shows in the checksums of the pages.
    """
    try:
        if sha256 is not None and sha256_of(path) != sha256:
            return None
        table = pq.read_table(path, page_checksum_verification=True)
        if (table.schema.metadata or {}).get(_KEY) != job.key.encode():
            return None
        table = table.cast(job.schema)  # Parquet has its own names for the parts of lists
    except (OSError, ValueError, pa.ArrowException):
        return None
    if table.column("clip_id").to_pylist() != list(ids):
        return None
    reasons = zip(ids, table.column("reason").to_pylist(), strict=True)
    left_out = [name for name, reason in reasons if reason]
    return table if all(isinstance(job.pictures(name), str) for name in left_out) else None


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """Rows (N, length) of lists of one length."""
    return column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)


def _lists(array: np.ndarray) -> pa.Array:
    """Inverse of `_array`, for (N, ...)."""
    flat = array.reshape(len(array), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])


def token_identity(codec: VideoCodec, tokenizer: MotionTokenizer) -> dict[str, str]:
    """The identity of tokens, which a checkpoint keeps: the codec's and the tokenizer's."""
    return {
        "codec": json.dumps(codec.identity(), sort_keys=True),
        "tokenizer_sha256": weights_sha256(tokenizer),
    }
