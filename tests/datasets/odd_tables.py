"""Tables of annotations in a folder with two recordings, read as they stand."""

from ecotf.datasets.importers import import_annotations

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies"
CSV = "recording,start_s,end_s,label"


def read(folder, format, content, name=None, **options):
    path = folder / (name or {"raven": "t2.Table.1.selections.txt", "audacity": "t2.txt"}.get(format, "id.csv"))
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_annotations(format, path, folder, **options)


def row(number, begin, label="Pippip", more="", low="20000", high="90000", view="Spectrogram 1"):
    return f"{number}\t{view}\t1\t{begin}\t{begin + 0.005}\t{low}\t{high}\t{label}{more}\n"
