"""Recognize files by their first bytes, and say what to do with those that are no features."""

PICKLE = "a Python pickle, which is never opened"

_SAVE = "Save the features as NumPy arrays: numpy.savez('features.npz', rgb=…, audio=…)."
_EXTRACT = "Extract its features first, for example with MediaPipe's YouTube-8M feature extractor, and use those."
# First bytes (after some that vary), description, and advice.
_KINDS: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"ftyp", "a video (MP4)", _EXTRACT),
    (0, b"\x1aE\xdf\xa3", "a video (Matroska or WebM)", _EXTRACT),
    (0, b"RIFF", "a video or sound (AVI or WAV)", _EXTRACT),
    (0, b"\x00\x00\x01\xba", "a video (MPEG)", _EXTRACT),
    (0, b"FLV", "a video (Flash)", _EXTRACT),
    (0, b"ID3", "a sound (MP3)", _EXTRACT),
    (0, b"OggS", "a sound or video (Ogg)", _EXTRACT),
    (0, b"\xff\xd8\xff", "an image (JPEG)", _EXTRACT),
    (0, b"\x89PNG", "an image (PNG)", _EXTRACT),
    (0, b"MATLAB 5.0", "a MATLAB file", f"Open it with scipy.io.loadmat. {_SAVE}"),
    (0, b"\x89HDF\r\n", "an HDF5 or MATLAB 7.3 file", "Convert it with `yt8m import`, or save its arrays as an .npz."),
    (0, b"PAR1", "a Parquet file", "Convert it with `yt8m import`."),
    (0, b"ARROW1", "an Arrow file", "Convert it with `yt8m import`."),
    (257, b"ustar", "a tar archive", "Convert it with `yt8m import`."),
    (0, b"\x1f\x8b", "a gzip file", "Expand it first: gunzip."),
    (0, b"7z\xbc\xaf", "a 7-Zip archive", "Expand it first."),
    (0, b"Rar!", "a RAR archive", "Expand it first."),
    (0, b"{", "a JSON file", _SAVE),
    (0, b"%PDF", "a PDF file", _SAVE),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Fetch the file: git lfs pull."),
    (0, b"<", "an HTML or XML file", "It may be an error page: download the file again."),
)


def describe_unknown(head: bytes) -> tuple[str, str]:
    """Describe a file that is no features by its first bytes, and say what to do.

    >>> describe_unknown(b"\\x89PNG\\r\\n\\x1a\\n")[0]
    'an image (PNG)'
    """
    if not head:
        return "an empty file", "Save or upload it again."
    if head[:2] in (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"):
        return PICKLE, f"Open it yourself, if you trust it. {_SAVE}"
    for start, magic, description, advice in _KINDS:
        if head[start : start + len(magic)] == magic:
            return description, advice
    return f"a file of unknown type, starting with {head[:8].hex(' ')}", _SAVE


def describe_torch() -> tuple[str, str]:
    """Describe a file of torch.save, a ZIP with a pickle."""
    return "a PyTorch file, whose pickle is never opened", (
        "Open it yourself, if you trust it: features = torch.load(…). Then: numpy.savez('features.npz', "
        "rgb=features['rgb'].numpy(), audio=features['audio'].numpy())."
    )
