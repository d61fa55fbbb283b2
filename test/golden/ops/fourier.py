"""Fourier transforms, of whole sequences and of windows."""

import torch

from recorder import Family, Fixed


def cases():
    f = Family("fourier")
    for dtype in [torch.float64, torch.float32]:
        for n in [1, 2, 3, 5, 8, 12, 17, 30]:
            f.case("rfft", f.uniform(dtype, [2, n]))
            spectrum = torch.view_as_real(torch.fft.rfft(f.uniform(dtype, [2, n]), n))
            f.case("irfft", spectrum, n=n)
        for norm in ["ortho", "forward"]:
            f.case("rfft", f.uniform(dtype, [3, 6]), norm=norm)
            f.case("irfft", torch.view_as_real(torch.fft.rfft(f.uniform(dtype, [3, 6]))), norm=norm)
        for n in [3, 9]:
            f.case("rfft", f.uniform(dtype, [5, 6]), n=n, axis=0)
            f.case("irfft", torch.view_as_real(torch.fft.rfft(f.uniform(dtype, [6, 4]), dim=0)), n=n, axis=0)
        f.case("rfft", f.uniform(dtype, [257]))
        for n in [1, 2, 5, 8, 17, 30]:
            f.case("fft", f.uniform(dtype, [2, n, 2]))
            f.case("ifft", f.uniform(dtype, [2, n, 2]))
        for o in [{"n": 3}, {"n": 9, "axis": 0}, {"norm": "ortho"}, {"norm": "forward", "axis": 0}]:
            f.case("fft", f.uniform(dtype, [5, 6, 2]), **o)
            f.case("ifft", f.uniform(dtype, [5, 6, 2]), **o)
        for o in [{}, {"axes": [-2, -1]}, {"axes": [2, 0], "n": [4, 5]}, {"axes": [1, 2], "norm": "ortho"}]:
            f.case("rfftn", f.uniform(dtype, [2, 3, 6]), **o)
            f.case("fftn", f.uniform(dtype, [2, 3, 6, 2]), **o)
            f.case("ifftn", f.uniform(dtype, [2, 3, 6, 2]), **o)
            f.case("irfftn", f.uniform(dtype, [2, 3, 4, 2]), **o)
        window = Fixed(torch.hann_window(8, dtype=dtype))
        for o in [{}, {"hopLength": 3}, {"window": window, "hopLength": 4}, {"window": window, "center": False}, {"normalized": True, "winLength": 6}]:
            f.case("stft", f.uniform(dtype, [2, 24]), 8, **o)
        for o in [{}, {"window": window, "hopLength": 2}, {"hopLength": 2, "length": 20}, {"window": window, "hopLength": 2, "normalized": True}]:
            hop = o.get("hopLength", 2)
            given = o["window"].tensor if "window" in o else torch.ones(8, dtype=dtype)
            spectrum = torch.stft(f.uniform(dtype, [2, 24]), 8, hop, window=given, normalized=o.get("normalized", False), return_complex=True)
            f.case("istft", torch.view_as_real(spectrum), 8, **o)
        for o in [{"axes": -2}, {"n": [4]}, {"n": [4, 5]}]:
            for op, shape in [("rfftn", [2, 3, 6]), ("fftn", [2, 3, 6, 2]), ("ifftn", [2, 3, 6, 2]), ("irfftn", [2, 3, 4, 2])]:
                f.case(op, f.uniform(dtype, shape), **o)
        for op in ["fftshift", "ifftshift"]:
            for o in [{}, {"axes": -1}, {"axes": [1, 0]}, {"pairs": False}, {"axes": [2], "pairs": False}]:
                f.case(op, f.uniform(dtype, [3, 4, 2]), **o)
                f.case(op, f.uniform(dtype, [4, 5, 2]), **o)
    for n in [1, 4, 9]:
        for op in ["fftfreq", "rfftfreq"]:
            f.case(op, n)
            f.case(op, n, spacing=0.25, dtype="float64")
    return f
