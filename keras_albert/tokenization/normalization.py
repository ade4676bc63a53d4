"""What Google's tokenizers do to a text before they cut it, and the way back to its characters.

Everything here runs in TensorFlow's graph on whole batches of strings.

tensorflow-text's own lower-casing is not Google's: it is NFKC case folding, which turns "ß" into
"ss" and a full-width comma into an ordinary one, and so changes half of all Chinese texts.
"""

import unicodedata
from functools import cache
from typing import Any

# Regular expressions of RE2. Categories Cc and Cf without tab, line feed and carriage return.
_DROPPED = r"[\x{0}-\x{8}\x{b}\x{c}\x{e}-\x{1f}\x{7f}-\x{9f}\x{fffd}\p{Cf}]+"
# Words of one character: punctuation, and Google's ranges of Chinese characters (without kana,
# Hangul, U+2A6E0..U+2A6FF and the extensions from G on).
_LONE = (
    r"!-/:-@\[-`{-~\p{P}"
    r"\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{f900}-\x{faff}"
    r"\x{20000}-\x{2a6df}\x{2a700}-\x{2ceaf}\x{2f800}-\x{2fa1f}"
)
_PIECE = rf"[{_LONE}]|(##)?[^{_LONE}\p{{Cc}}\p{{Cf}}\p{{Z}}]+"
_MARKS = r"\p{Mn}+"
# Texts of these characters alone come out as they are, lower-cased where that is asked for.
_PLAIN = r"[\t\n\r -~]*"
# What str.split takes for white space.
_WHITE = r"[\t-\r\x{1c}-\x{20}\x{85}\p{Z}]+"


def valid_utf8(texts: Any) -> Any:
    """Texts without the bytes that are not UTF-8, as Python's `decode("utf-8", "ignore")`."""
    import tensorflow as tf

    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore")


def lowered(texts: Any) -> Any:
    """Lower-cased texts as Python's `str.lower` makes them, final sigma included."""
    import tensorflow as tf

    # ASCII first: ICU's rules follow the process's locale, in which a Turkish I loses its dot.
    return tf.strings.lower(tf.strings.lower(texts), encoding="utf-8")


def clean_wordpiece(texts: Any, lower_case: bool) -> Any:
    """BERT's clean-up: no control and format characters; lower-cased without accents, if asked.

    Source: google-research/bert, tokenization.py, `_clean_text`, `_run_strip_accents`.
    """
    import tensorflow as tf

    def clean(texts: Any) -> Any:
        texts = tf.strings.regex_replace(valid_utf8(texts), _DROPPED, "")
        if lower_case:
            texts = _decomposed(lowered(texts), "NFD")
            texts = tf.strings.regex_replace(texts, _MARKS, "")
        return texts

    # Most texts in Latin script are plain, and need one operation instead of six.
    plain = tf.strings.regex_full_match(texts, _PLAIN)
    others = tf.where(~plain)
    easy = tf.strings.lower(texts) if lower_case else texts
    hard = clean(tf.gather_nd(texts, others))
    return tf.tensor_scatter_nd_update(easy, others, hard)


def can_be_pieces(tokens: Any) -> Any:
    """Which tokens BERT can find in a cleaned-up text, where separators are words of their own."""
    import tensorflow as tf

    return tf.strings.regex_full_match(tokens, _PIECE)


def clean_sentencepiece(texts: Any, lower_case: bool, remove_space: bool = True) -> Any:
    """ALBERT's clean-up: single spaces, NFKD, no combining characters, lower-cased if asked.

    Source: google-research/albert, tokenization.py, `preprocess_text`.
    """
    import tensorflow as tf

    def clean(texts: Any) -> Any:
        texts = valid_utf8(texts)
        if remove_space:
            texts = tf.strings.regex_replace(texts, _WHITE, " ")
            texts = tf.strings.regex_replace(texts, "^ | $", "")
        texts = tf.strings.regex_replace(_decomposed(texts, "NFKD"), _combining(), "")
        if lower_case:
            # A NUL stays here, but would end the text for ICU: noncharacters stand in for it.
            texts = tf.strings.regex_replace(texts, "\ufdd0", "\ufdd0\ufdd1")
            texts = lowered(tf.strings.regex_replace(texts, r"\x{0}", "\ufdd0\ufdd2"))
            texts = tf.strings.regex_replace(texts, "\ufdd0\ufdd2", "\0")
            texts = tf.strings.regex_replace(texts, "\ufdd0\ufdd1", "\ufdd0")
        return texts

    plain = tf.strings.regex_full_match(texts, "([!-~]+( [!-~]+)*)?" if remove_space else _PLAIN)
    others = tf.where(~plain)
    easy = tf.strings.lower(texts) if lower_case else texts
    hard = clean(tf.gather_nd(texts, others))
    return tf.tensor_scatter_nd_update(easy, others, hard)


def _decomposed(texts: Any, form: str) -> Any:
    import tensorflow_text

    return tensorflow_text.normalize_utf8(texts, form)


@cache
def _combining() -> str:
    """A character class of everything that has a combining class, which RE2 has no name for."""
    # Unicode gives marks to planes 0, 1 and 14 alone.
    planes = (*range(0x20000), *range(0xE0000, 0xE1000))
    marks = [code for code in planes if unicodedata.combining(chr(code))]
    first = [code for code in marks if not unicodedata.combining(chr(code - 1))]
    last = [code for code in marks if not unicodedata.combining(chr(code + 1))]
    ranges = (rf"\x{{{a:x}}}-\x{{{b:x}}}" for a, b in zip(first, last, strict=True))
    return f"[{''.join(ranges)}]+"
