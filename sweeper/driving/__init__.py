"""From work that remains to rows in the store: Ray starts, Tune trains, a searcher hands out."""

import os

# Read by Ray when it is imported.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AIR_NEW_OUTPUT="0",
    RAY_CHDIR_TO_TRIAL_DIR="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_SIGINT_HANDLER="1",
    TUNE_FORCE_TRIAL_CLEANUP_S="5",
    TUNE_GLOBAL_CHECKPOINT_S="1e9",  # nobody reads its state, which grows with every trial
    TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
)
