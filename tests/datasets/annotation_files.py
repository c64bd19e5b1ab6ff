"""Files of annotations as programs write them, for tests of the importers."""

import h5py
import numpy as np
import soundfile


def audio(folder, *names, seconds=0.1, rate=8000):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(int(seconds * rate)), rate, format="WAV")


def text(path, content, encoding="utf-8", newline="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding=encoding, newline=newline)
    return path


def rows_of(manifest, *columns):
    return list(manifest.table[list(columns)].itertuples(index=False, name=None))


def audioset_labels(folder):
    """The classes around the animals, as numbered by AudioSet."""
    names = {72: ("/m/0jbk", "Animal"), 74: ("/m/0bt9lr", "Dog"), 137: ("/m/04rlf", "Music")}
    rows = [(i, *names.get(i, (f"/t/{i}", f"class {i}, of many"))) for i in range(140)]
    lines = [f'{i},{mid},"{name}"' for i, mid, name in rows]
    return text(folder / "class_labels_indices.csv", "\n".join(["index,mid,display_name", *lines]) + "\n")


def segments(path, *rows):
    """A table of AudioSet: an id and the ids of its labels each."""
    lines = [f'{name}, 30.000, 40.000, "{",".join(mids)}"' for name, *mids in rows]
    head = ["# Segments csv created Sun Mar  5 10:54:31 2017", "# num_ytids=1", "# YTID, start_seconds, ..."]
    return text(path, "\n".join([*head, *lines]) + "\n")


def packed(path, *names):
    """A packed file of short clips with these names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["audio_name"] = np.array(names, "S20")
        file["waveform"] = np.ones((len(names), 8), "<i2")
        file.attrs["sample_rate"] = 32000


def panns_index(path, *rows, columns=140):
    """An index of PANNs: name, file, row and the numbers of the classes of each clip."""
    target = np.zeros((len(rows), columns), bool)
    for at, row in enumerate(rows):
        target[at, list(row[3])] = True
    with h5py.File(path, "w") as file:
        file["audio_name"] = np.array([row[0] for row in rows], "S20")
        file["hdf5_path"] = np.array([row[1] for row in rows], "S200")
        file["index_in_hdf5"] = np.array([row[2] for row in rows], np.int32)
        file["target"] = target
    return path


def box(label="Myotis mystacinus", **changes):
    values = {"class": label, "event": "Echolocation", "individual": "0"}
    times = {"start_time": 0.146366, "end_time": 0.151696, "low_freq": 28564.453125, "high_freq": 105957.03125}
    return {**values, **times, **changes}


def entry(name="a.wav", boxes=None, **changes):
    boxes = [box()] if boxes is None else boxes
    fixed = {"annotated": True, "issues": False, "duration": 0.5, "time_exp": 10, "class_name": "Myotis", "notes": ""}
    return {"id": name, "annotation": boxes, **fixed, **changes}
