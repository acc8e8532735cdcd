#!/bin/sh
# Fail if a commit adds an API key, even if a later one removes it. The commits are those of a range
# such as origin/main..HEAD or, in a hook of pre-commit, those that are pushed.
set -eu
key='{{ cookiecutter.__package }}_[0-9A-Za-z]{43}[0-9a-f]{8}'
range=${1:-"${PRE_COMMIT_FROM_REF:-}..${PRE_COMMIT_TO_REF:-HEAD}"}
first=${range%%..*}
last=${range##*..}
# All of the history for a new branch, or where git does not have the first commit.
git cat-file -e "$first^{commit}" 2>/dev/null && commits="$first..$last" || commits=$last

found=0
for commit in $(git log -c --no-patch --text --format=%h -G "$key" "$commits"); do
  if git show -c --text --unified=0 --format= "$commit" | grep --text -Eq "^[ +]*[+].*$key"; then
    echo "Commit $commit adds an API key, which has leaked once it is pushed: see SECURITY.md"
    found=1
  fi
done
exit $found
