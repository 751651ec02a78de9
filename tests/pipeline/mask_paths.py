"""Keys that are meant to do harm, and the masks that the pipeline gives to keys."""

import unicodedata
from collections import Counter

from pipeline.storage.mask_names import claims, own_names

HOSTILE = (
    "../../etc/passwd.jpg",
    "/etc/passwd.jpg",
    "//server/share/a.jpg",
    "C:\\Windows\\a.jpg",
    "..\\..\\a.jpg",
    "a/../../../b.png",
    "a/./b.jpg",
    "..",
    ".",
    "",
    "/",
    "\\",
    ".png",
    "~",
    "~/a.jpg",
    "~root.jpg",
    "a\0b.jpg",
    "a\nb.jpg",
    "a\r\nb.jpg",
    "a\u2028b.jpg",
    "\udce9.jpg",
    "a*b?c.jpg",
    "a|b<c>.jpg",
    'a"b.jpg',
    "x" * 5000,
    "x" * 5000 + ".jpg",
    "d/" * 2500 + "x.jpg",
    "\N{CJK UNIFIED IDEOGRAPH-5B57}" * 3000 + ".png",
    ("\N{CJK UNIFIED IDEOGRAPH-5B57}" * 90 + "/") * 9 + "x.jpg",
    "con.jpg",
    "NUL",
    "Aux.tar.jpg",
    "com1/lpt9.png",
    "a. .jpg",
    "a...",
    "folder./a.jpg",
    "a.png/b.jpg",
    "x" * 96 + ".png/b.jpg",
    "x" * 96 + ".pngs/b.jpg",
)


def places_of(keys):
    """What the pipeline does: names that several images claim are taken; then a name for each."""
    counts = Counter(name for key in keys for name in claims(key))
    taken = {name for name, count in counts.items() if count > 1}
    own = [own_names(key, taken, f"/shard#{number}") for number, key in enumerate(keys)]
    for number, (key, (name, path)) in enumerate(zip(keys, own, strict=True)):
        # Only what shares its very name, and so gets a folder for its mask, goes by its place.
        shared = keys.count(key) > 1 and path.startswith("masks/~")
        assert name == (f"/shard#{number}" if shared else key)
    return [path for _, path in own]


def as_stored(path):
    """As a file system sees it that ignores case and Unicode form, as macOS and Windows do."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
