"""Settings shared by all tests."""

import hypothesis

hypothesis.settings.register_profile("theorylab", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile("theorylab")
