"""Every TensorFlow 1 name there is, one table a family, read forwards and backwards."""

from checkpoints_tools.tables.albert_zh import ALBERT_ZH
from checkpoints_tools.tables.google_albert import GOOGLE_ALBERT
from checkpoints_tools.tables.google_bert import GOOGLE_BERT
from checkpoints_tools.tables.rules import Entry, Row, Table

TABLES: dict[str, Table] = {
    table.family: table for table in (GOOGLE_BERT, GOOGLE_ALBERT, ALBERT_ZH)
}

__all__ = ["TABLES", "Entry", "Row", "Table"]
