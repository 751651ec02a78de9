"""What is hidden while Beam is imported, and only then."""

import logging

import pytest

from pipeline.command.logs import set_up_logging, without_import_notices


def test_warnings_are_hidden_inside_and_shown_after_an_error_too(caplog):
    with pytest.raises(ImportError), without_import_notices():
        logging.warning("apitools not found")
        logging.error("a real error")
        raise ImportError
    logging.warning("shown again")
    assert [record.getMessage() for record in caplog.records] == ["a real error", "shown again"]


def test_an_error_that_beam_raises_is_not_logged_too(caplog, monkeypatch):
    logger = logging.getLogger("apache_beam.runners.common")
    monkeypatch.setattr(logger, "level", logger.level)
    set_up_logging()
    logger.error("the job broke")
    logging.getLogger("apache_beam.runners").error("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]
