"""The layers that BERT, ALBERT and the original Transformer are made of, on any Keras backend."""

from keras_albert.layers.decoder_block import TransformerDecoderBlock
from keras_albert.layers.encoder_block import TransformerEncoderBlock
from keras_albert.layers.masked_lm_head import MaskedLMHead
from keras_albert.layers.multi_head_attention import MultiHeadAttention
from keras_albert.layers.pooler import Pooler
from keras_albert.layers.position_embedding import LearnedPositionEmbedding
from keras_albert.layers.segment_embedding import SegmentEmbedding
from keras_albert.layers.sinusoidal_position import SinusoidalPositionEncoding
from keras_albert.layers.token_embedding import TokenEmbedding
from keras_albert.layers.token_projection import TokenProjection

__all__ = [
    "LearnedPositionEmbedding",
    "MaskedLMHead",
    "MultiHeadAttention",
    "Pooler",
    "SegmentEmbedding",
    "SinusoidalPositionEncoding",
    "TokenEmbedding",
    "TokenProjection",
    "TransformerDecoderBlock",
    "TransformerEncoderBlock",
]
