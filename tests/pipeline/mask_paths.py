"""Keys that are meant to do harm, and the masks that the pipeline gives to keys."""

import unicodedata
from collections import defaultdict

from pipeline.storage.mask_names import (
    Named,
    RecordNames,
    claim_of_image,
    claim_of_shard,
    claims_of_folders,
    name_images,
    name_shard,
)

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
    """What the pipeline does with image files: those of one claim are named together."""
    claims = defaultdict(list)
    for number, key in enumerate(keys):
        claims[claim_of_image(key)].append((key, f"/place/{number}"))
    own = {}
    for images in claims.values():
        for (_, place), named in zip(images, name_images(images), strict=True):
            own[place] = named
    paths = []
    for number, key in enumerate(keys):
        named = own[f"/place/{number}"]
        # Only what shares its very name goes by its place.
        assert named.key == (f"/place/{number}" if keys.count(key) > 1 else key)
        paths.append(named.mask)
    return paths


SHARD = Named("s", "masks/s")


def places_of_records(keys, shard=SHARD):
    """What the pipeline does with the records of a shard."""
    names = RecordNames(shard)
    named = [names.name(key, number) for number, key in enumerate(keys)]
    assert all(
        one.key.startswith(f"{shard.key}/{key}") for one, key in zip(named, keys, strict=True)
    )
    return [one.mask for one in named]


def folders_of(shards, images):
    """What the pipeline does with shards: the folders of their masks."""
    claims = [claim_of_shard(key) for key in shards]
    marks = set().union(*map(claims_of_folders, [*claims, *map(claim_of_image, images)]))
    return [
        name_shard(key, f"/place/{n}", is_alone=claims.count(claim) == 1 and claim not in marks)
        for n, (key, claim) in enumerate(zip(shards, claims, strict=True))
    ]


def as_stored(path):
    """As a file system sees it that ignores case and Unicode form, as macOS and Windows do."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
