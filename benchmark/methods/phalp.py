"""4D-Humans (HMR2.0 tracked by PHALP): SMPL motions, which are evaluated as such."""

from benchmark.methods.estimators import External

METHOD = {
    "v2m": External(
        "phalp",
        "SMPL, evaluated on SMPL's own mesh; neither its shape nor its pose is converted to "
        "SMPL-X. It is not smoothed.",
    )
}
