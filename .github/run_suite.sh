#!/usr/bin/env bash
# Runs the suite for action.yml, with the inputs in TARGET, FEATURES, EXPECT, REPORT and OPTIONS.
set -uo pipefail

arguments=("--grpcstream-target=$TARGET" "--grpcstream-report=$REPORT")
if [[ -n "$FEATURES" ]]; then
    arguments+=("--grpcstream-features=$FEATURES")
fi
for list in $EXPECT; do
    arguments+=("--grpcstream-expect=$list")
done
read -r -a more <<<"$OPTIONS"

"$RUNNER_TEMP/grpcstream/bin/pytest" "${arguments[@]}" "${more[@]}"
code=$?

if [[ -n "${GITHUB_STEP_SUMMARY:-}" && -f "$REPORT/summary.md" ]]; then
    cat "$REPORT/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
