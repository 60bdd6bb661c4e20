# model.mk - builds tests/model and adds its tests to TESTS: a million operations in one thread, where the whole heap is
# checked after three of four, and 5 million in four. `make model-long`: 5 million in each; takes up to ten minutes.
# Other lengths: build/tests/model/model_threads_test operations=1000000000 seed=1

MODEL_PROGRAMS := $(addprefix $(BUILD)/tests/model/,model_single_test model_threads_test)
MODEL_CFLAGS = $(CPPFLAGS) $(CFLAGS) -fno-builtin-malloc -DHAK_REPLACE_LIBC=0 -DHAK_CHECKED=1

# With a sanitizer, a shorter run is part of tests/sanitize.
ifeq ($(SANITIZE),)
TEST_PROGRAMS += $(MODEL_PROGRAMS)
TESTS += $(MODEL_PROGRAMS)
endif

.PHONY: model-tests model-long
model-tests: $(MODEL_PROGRAMS)

model-long: $(MODEL_PROGRAMS)
	$(BUILD)/tests/model/model_single_test operations=5000000
	$(BUILD)/tests/model/model_threads_test operations=5000000

$(BUILD)/tests/model/model_single_test: MODEL_DEFINES := -DMODEL_THREADS=1 -DMODEL_OPERATIONS=1000000
$(BUILD)/tests/model/model_threads_test: MODEL_DEFINES := -DMODEL_THREADS=4

$(MODEL_PROGRAMS): tests/model/model.c tests/model/held.h tests/tap.h $(SOURCES)
	@mkdir -p $(@D)
	$(CC) $(MODEL_CFLAGS) $(MODEL_DEFINES) $< -o $@ -pthread
