"""The report of a run: figures as JSON, a model card, a page with pictures; baselines."""

from keras_albert.report.baselines import baseline_metrics
from keras_albert.report.card import model_card
from keras_albert.report.page import render_html
from keras_albert.report.run_folder import write_report

__all__ = ["baseline_metrics", "model_card", "render_html", "write_report"]
