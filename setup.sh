#!/usr/bin/env bash
# Finds or makes the environment: Python 3.11 or 3.12 with every package as requirements.lock pins it, and in .venv/bin
# the commands of pyproject.toml, which run the code of this clone.
#
#   ./setup.sh              find or make it, say which one it is
#   ./setup.sh --python     the same; standard output holds nothing but the interpreter's path
#   ./setup.sh --fits PY    does that interpreter's environment fit the lock? changes nothing
#   ./setup.sh --lock       write requirements.lock anew from pyproject.toml (needs a network)
#
# An active virtual or conda environment that fits is used and never changed. Otherwise .venv is made here.
# SETUP_FREE_GB=N changes the free disk asked for before .venv is made. Nothing needs a network afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly lock=requirements.lock
readonly own=.venv
readonly own_python=$PWD/$own/bin/python
readonly stamp=$own/.installed.lock   # a copy of the lock, written last: no stamp, no finished installation
readonly commands=$own/.installed.pyproject.toml # a copy of it, written once its commands are in .venv/bin
readonly unfinished=$own/.unfinished  # there while packages are being written
readonly disk_gb=${SETUP_FREE_GB:-7}  # .venv takes 5.8 GB, through pip 6.1; the rest is room for unpacking
scratch=

trap 'status=$?; if [ -n "$scratch" ]; then rm -rf "$scratch"; fi; exit $status' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

# Exit status 0 when every pin that applies to interpreter $1 is installed; else one sentence with the difference.
fits() {
    "$1" - "$lock" <<'PYTHON'
import sys
from importlib import metadata

if sys.version_info[:2] not in ((3, 11), (3, 12)):
    sys.exit("it is Python %d.%d, not 3.11 or 3.12" % sys.version_info[:2])
try:  # is in the lock itself, so an environment without it does not fit
    from packaging.requirements import Requirement
except ImportError:
    sys.exit("packaging is not installed")
wrong = []
for line in open(sys.argv[1], encoding="utf-8"):
    if line[0] in " #\n":
        continue
    pin = Requirement(line.rstrip("\\\n "))
    if pin.marker and not pin.marker.evaluate():
        continue
    try:
        found = metadata.version(pin.name)
    except metadata.PackageNotFoundError:
        found = None
    if found is None or not pin.specifier.contains(found, prereleases=True):
        wrong.append(f"{pin.name}{pin.specifier} ({'has ' + found if found else 'missing'})")
if wrong:
    sys.exit(f"{len(wrong)} packages differ from the lock, first {wrong[0]}")
PYTHON
}

# The interpreter of the environment that the person has activated, if any; our own is dealt with further down.
active_python() {
    local root
    for root in "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}"; do
        if [ -n "$root" ] && [ -x "$root/bin/python" ] && [ ! "$root" -ef "$own" ]; then
            echo "$root/bin/python"
            return
        fi
    done
}

# A name on PATH proves nothing (version managers leave launchers that fail), so each candidate is run.
find_python() {
    local name candidate modules=$1
    for name in python3.11 python3.12 python3 python; do
        for candidate in $(type -aP "$name" || true); do
            if "$candidate" -c "import sys, $modules; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))" \
                >/dev/null 2>&1; then
                echo "$candidate"
                return
            fi
        done
    done
}

check_disk() {
    local free_gb
    free_gb=$(df -Pk . | awk 'NR == 2 { printf "%.1f", $4 * 1024 / 1e9 }')
    if awk -v free="$free_gb" -v need="$disk_gb" 'BEGIN { exit !(free < need) }'; then
        fail "$own needs $disk_gb GB of free disk, $PWD has $free_gb GB; free some, clone onto a larger disk," \
            "or set SETUP_FREE_GB=$free_gb to try nevertheless (a warm uv cache on this disk is linked, not copied)"
    fi
}

# Path of uv: from PATH, else from a throwaway environment made with interpreter $1, else nothing.
find_uv() {
    if uv --version >/dev/null 2>&1; then
        command -v uv
        return
    fi
    if "$1" -m venv "$scratch/uv" >/dev/null 2>&1 &&
        "$scratch/uv/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.5,<1' >/dev/null 2>&1; then
        echo "$scratch/uv/bin/uv"
    fi
}

install_packages() {
    local uv=$1
    if [ -n "$uv" ]; then
        "$uv" pip install --python "$own_python" --require-hashes -r "$lock" >&2 && return
        say "uv did not succeed; trying pip, which has settings of its own for mirrors and certificates"
    fi
    "$own_python" -m ensurepip >/dev/null &&
        "$own_python" -m pip install --disable-pip-version-check --require-hashes -r "$lock" >&2
}

make_own() {
    local python uv needed=venv
    rm -rf "$own.old"
    if [ -e "$own" ] && { [ -e "$unfinished" ] || ! "$own_python" -c '' 2>/dev/null; }; then
        say "$own is unfinished or broken and is made anew"
        mv "$own" "$own.old" # renamed first, so that a half-deleted one is never taken for a whole one
        rm -rf "$own.old"
    fi
    uv --version >/dev/null 2>&1 || needed=venv,ensurepip
    python=$(find_python "$needed")
    if [ -z "$python" ]; then
        fail "no Python 3.11 or 3.12 that can make environments was found on PATH. Install one (Debian and Ubuntu:" \
            "apt install python3.12 python3.12-venv; macOS: brew install python@3.12; anywhere: conda env create" \
            "-f environment.yml and activate it), then run this again"
    fi
    if [ ! -e "$own" ]; then
        check_disk
        say "making $own with $python ($("$python" -V)): 5.8 GB of disk, some minutes"
    else
        say "bringing $own in line with $lock"
    fi
    mkdir -p "$own"
    touch "$unfinished"
    rm -f "$stamp"
    [ -x "$own_python" ] || "$python" -m venv --without-pip "$own"
    scratch=$own/.setup
    uv=$(find_uv "$python")
    install_packages "$uv" || fail "installation failed, see above; run this again and it starts cleanly"
    fits "$own_python" || fail "$own still differs from $lock after installation"
    rm -rf "$scratch"
    cp "$lock" "$stamp"
    rm "$unfinished"
}

# `video-sr` and the others of pyproject.toml, beside the interpreter; without a network, and nothing depends on them.
install_commands() {
    local options=(--quiet --no-deps --no-build-isolation --no-index --editable .)
    if uv --version >/dev/null 2>&1; then
        uv pip install --python "$own_python" "${options[@]}" >&2
    else
        "$own_python" -m ensurepip >/dev/null &&
            "$own_python" -m pip install --disable-pip-version-check "${options[@]}" >&2
    fi && cp pyproject.toml "$commands" ||
        say "video-sr and the other commands could not be put into $own/bin, see above; python -m video_sr works as well"
}

own_is_ready() {
    own_has_packages && cmp -s pyproject.toml "$commands"
}

own_has_packages() {
    [ ! -e "$unfinished" ] && cmp -s "$lock" "$stamp" && "$own_python" -c '' 2>/dev/null
}

ensure_own() {
    if own_is_ready; then
        return
    fi
    if command -v flock >/dev/null; then # two makes in one clone: the second waits, then finds it done
        exec 9>.venv.lock
        flock 9
        if own_is_ready; then
            return
        fi
    fi
    if ! own_has_packages; then
        if [ -e "$own" ] && [ ! -e "$unfinished" ] && fits "$own_python" 2>/dev/null; then
            cp "$lock" "$stamp"
        else
            make_own
        fi
    fi
    cmp -s pyproject.toml "$commands" || install_commands
}

main() {
    local python reason mode=${1:-}
    python=$(active_python)
    if [ -n "$python" ]; then
        if reason=$(fits "$python" 2>&1); then
            [ "$mode" = --python ] || say "using the active environment, $python"
            chosen=$python
            return
        fi
        [ "$mode" = --python ] || say "the active environment ($python) is left alone: ${reason##*$'\n'}"
    fi
    ensure_own
    [ "$mode" = --python ] || say "using $own ($("$own_python" -V))"
    chosen=$own_python
}

relock() {
    local python uv
    python=$(find_python venv)
    scratch=$(mktemp -d)
    uv=$(find_uv "${python:-python3}")
    [ -n "$uv" ] || fail "the lock is made with uv, which is neither on PATH nor can be installed; try pip install uv"
    "$uv" pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
        --no-header --extra dev pyproject.toml -o "$lock" >/dev/null
}

case "${1:-}" in
    "") main ;;
    --python) main --python && echo "$chosen" ;;
    --fits) fits "${2:?give the path of a Python interpreter}" ;;
    --lock) relock ;;
    *) fail "unknown option $1; known: --python, --fits PYTHON, --lock" ;;
esac
