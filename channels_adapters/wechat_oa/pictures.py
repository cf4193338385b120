"""Pictures in the size that a WeChat account takes."""

import io

from PIL import Image, ImageOps

LIMIT = 2 * 1024 * 1024  # bytes; the vendor's pages say 2 MB and 10 MB (§15 of the wire reference)
_STEPS = ((2560, 88), (1920, 82), (1440, 75), (1080, 65))  # longest side, JPEG quality


def within_limit(content: bytes, content_type: str) -> tuple[bytes, str]:
    """(content, content type), scaled down to a JPEG where it is too large."""
    if len(content) <= LIMIT:
        return content, content_type
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    for side, quality in _STEPS:
        smaller = picture.copy()
        smaller.thumbnail((side, side))
        out = io.BytesIO()
        smaller.save(out, "JPEG", quality=quality)
        if out.tell() <= LIMIT:
            break
    return out.getvalue(), "image/jpeg"
