"""Google's tokenizers spelt out character by character, slowly: an oracle with offsets.

Written from the description of google-research/bert and google-research/albert, tokenization.py;
what it says is itself compared with golden numbers of theirs.
"""

import unicodedata

CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
# A character, and the index in the text of the one that it comes from.
Characters = list[tuple[str, int]]


def bert(text: str, vocabulary: set[str], lower_case: bool) -> list[tuple[str, int, int]]:
    """Tokens with start and end."""
    tokens = []
    for word in words(text, lower_case):
        pieces = longest_matches("".join(character for character, _ in word), vocabulary)
        if pieces is None:
            tokens.append(("[UNK]", word[0][1], word[-1][1] + 1))
            continue
        begin = 0
        for piece in pieces:
            end = begin + len(piece.removeprefix("##") if begin else piece)
            tokens.append((piece, word[begin][1], word[end - 1][1] + 1))
            begin = end
    return tokens


def words(text: str, lower_case: bool) -> list[Characters]:
    """The words that are looked up, punctuation and Chinese characters apart."""
    cleaned: Characters = []
    for index, character in enumerate(text):
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            cleaned.append((" ", index))
        elif character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf"):
            continue
        elif any(first <= ord(character) <= last for first, last in CHINESE):
            cleaned += [(" ", index), (character, index), (" ", index)]
        else:
            cleaned.append((character, index))
    found = []
    for word in split(cleaned, str.isspace, keep=False):
        if lower_case:
            word = [pair for pair in nfd(lower(word)) if unicodedata.category(pair[0]) != "Mn"]
        found += split(word, is_punctuation, keep=True)
    return found


def split(characters: Characters, separates, keep: bool) -> list[Characters]:
    parts: list[Characters] = [[]]
    for pair in characters:
        if separates(pair[0]):
            parts += [[pair], []] if keep else [[]]
        else:
            parts[-1].append(pair)
    return [part for part in parts if part]


def is_punctuation(character: str) -> bool:
    ascii_symbol = character.isascii() and character.isprintable() and not character.isalnum()
    return (ascii_symbol and character != " ") or unicodedata.category(character)[0] == "P"


def lower(word: Characters) -> Characters:
    """str.lower of the whole word: only a sigma depends on its neighbours, and stays one long."""
    sizes = [len(character.lower()) for character, _ in word]
    whole = "".join(character for character, _ in word).lower()
    assert len(whole) == sum(sizes)
    origins = [index for (_, index), size in zip(word, sizes, strict=True) for _ in range(size)]
    return list(zip(whole, origins, strict=True))


def nfd(word: Characters) -> Characters:
    """Canonical decomposition; marks are put in order, each with where it comes from."""
    apart = [(c, index) for pair, index in word for c in unicodedata.normalize("NFD", pair)]
    ordered: Characters = []
    marks: Characters = []
    for pair in [*apart, ("", -1)]:
        if pair[0] and unicodedata.combining(pair[0]):
            marks.append(pair)
            continue
        ordered += sorted(marks, key=lambda mark: unicodedata.combining(mark[0]))
        ordered += [pair] if pair[0] else []
        marks = []
    return ordered


def longest_matches(word: str, vocabulary: set[str]) -> list[str] | None:
    if len(word) > 200:
        return None
    pieces: list[str] = []
    begin = 0
    while begin < len(word):
        prefix = "##" if begin else ""
        for end in range(len(word), begin, -1):
            if prefix + word[begin:end] in vocabulary:
                pieces.append(prefix + word[begin:end])
                break
        else:
            return None
        begin = end
    return pieces


def albert_clean_up(text: str, lower_case: bool, remove_space: bool = True) -> str:
    """`preprocess_text`."""
    if remove_space:
        text = " ".join(text.strip().split())
    text = unicodedata.normalize("NFKD", text)
    text = "".join(character for character in text if not unicodedata.combining(character))
    return text.lower() if lower_case else text
