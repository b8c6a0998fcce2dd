from benchmark import run


def test_doctor_names_packages_device_body_and_data(capsys):
    code = run.main(["doctor"])
    text = capsys.readouterr().out
    lines = {line.split()[1]: line for line in text.splitlines()}
    assert {"python", "torch", "numpy", "datasets", "device"} <= lines.keys()
    assert "body model" in text and "sha256" in text
    assert "data (smoke)" in text and "cache" in text
    assert code == int("MISSING" in text)


def test_doctor_tells_a_missing_body(capsys, monkeypatch):
    monkeypatch.setenv("UNIMO_BODY_MODEL", "/nowhere")
    assert run.main(["doctor"]) == 1
    assert "MISSING body model" in capsys.readouterr().out
