#!/bin/sh
# torchrun refuses a program's own option because it begins like one of torchrun's, even behind the program's name.
#
# Seen with: torch 2.15.0, Python 3.11, Linux x86_64.
# Expected:  everything behind the script (or behind -m MODULE) belongs to the script.
# Seen:      torchrun program.py --run first ends with "ambiguous option: --run could match --run-path, --run_path", before the
#            program starts; --other first arrives.
# Way out:   torchrun [options] -m -- MODULE --run first: what follows the two dashes is the program's. (-- before a script's path
#            does the same.)
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0
cd "$dir"
echo 'import sys; print("program got", sys.argv[1:])' > program.py
run() { "$dir/venv/bin/torchrun" --nproc-per-node 1 "$@" 2>&1 || true; }
"$dir/venv/bin/python" -W ignore -c 'import sys, torch; print("torch", torch.__version__, "Python", sys.version.split()[0])'
refused=$(run program.py --run first)
echo "$refused" | tail -1
passed=$(run program.py --other first)
echo "$passed" | tail -1
dashes=$(run -m -- program --run first)
echo "$dashes" | tail -1
case "$refused" in *"ambiguous option: --run could match"*) ;; *) echo "--run is no longer refused"; exit 1 ;; esac
case "$passed" in *"program got ['--other', 'first']"*) ;; *) echo "other options no longer arrive"; exit 1 ;; esac
case "$dashes" in *"program got ['--run', 'first']"*) ;; *) echo "two dashes are no longer the way out"; exit 1 ;; esac
