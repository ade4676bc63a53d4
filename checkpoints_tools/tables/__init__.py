"""Every foreign name there is, one table a family, read forwards and backwards.

`TABLES` has the names of TensorFlow 1 checkpoints, `HUGGING_FACE` those of safetensors files.
"""

from checkpoints_tools.tables.albert_zh import ALBERT_ZH
from checkpoints_tools.tables.google_albert import GOOGLE_ALBERT
from checkpoints_tools.tables.google_bert import GOOGLE_BERT
from checkpoints_tools.tables.hugging_face_albert import HUGGING_FACE_ALBERT
from checkpoints_tools.tables.hugging_face_bert import HUGGING_FACE_BERT
from checkpoints_tools.tables.rules import Entry, Row, Table

TABLES: dict[str, Table] = {
    table.family: table for table in (GOOGLE_BERT, GOOGLE_ALBERT, ALBERT_ZH)
}
HUGGING_FACE: dict[str, Table] = {
    table.family: table for table in (HUGGING_FACE_BERT, HUGGING_FACE_ALBERT)
}

__all__ = ["HUGGING_FACE", "TABLES", "Entry", "Row", "Table"]
