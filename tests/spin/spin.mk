# spin.mk - models of the lock-free protocols, searched by spin: each state of small cases in `make check`, with every
# mutant of every model; larger cases by `make models` (minutes, up to 4 GiB). One of them: make models MODELS=inbox
#
# The models are of no variant, so they run with the first only.

ifeq ($(VARIANT),)
TESTS += tests/spin/spin_test.py
endif

.PHONY: models
models:
	scripts/install-packages check
	tests/spin/spin_test.py --full $(MODELS)
