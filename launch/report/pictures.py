"""The grids of a run, small enough that the page can be sent to a phone."""
import base64
import dataclasses
import io

from PIL import Image

# Quality of JPEG and share of the size, until a picture fits.
SMALLER = [(92, 1.0), (85, 1.0), (85, 0.75), (80, 0.55), (75, 0.4), (70, 0.25)]


@dataclasses.dataclass
class Gallery:
    pictures: list  # [(caption, data URI)], first and last of the run among them
    count: int      # how many there are in the folder
    bad: int = 0    # chosen ones that could not be read


def fitted(file, room):
    """The picture as a data URI of at most about `room` bytes: as it is where that fits, else as a smaller JPEG."""
    data = file.read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        if len(data) <= room:
            return "data:image/png;base64," + base64.b64encode(data).decode()
        colours = picture.convert("RGB")
    for quality, scale in SMALLER:
        size = [max(1, round(side * scale)) for side in colours.size]
        out = io.BytesIO()
        shown = colours if scale == 1 else colours.resize(size, Image.Resampling.LANCZOS)
        shown.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= room:
            break
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def order(file):
    return (0, int(file.stem), "") if file.stem.isdecimal() else (1, 0, file.stem)


def read(folder, most, room):
    """At most `most` of the folder's pictures, evenly chosen, in `room` bytes."""
    files = sorted(folder.glob("*.png"), key=order)
    chosen = files
    if len(files) > most:
        chosen = [files[round(i * (len(files) - 1) / (most - 1))] for i in range(most)]
    gallery = Gallery([], len(files))
    for file in chosen:
        caption = f"step {int(file.stem):,}" if file.stem.isdecimal() else file.stem
        try:
            # Base64 makes four bytes of three, and the newest stands on the page twice.
            gallery.pictures.append((caption, fitted(file, room * 3 // 4 // (len(chosen) + 1))))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            gallery.bad += 1
    return gallery
