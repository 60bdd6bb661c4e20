# Work for git: 300 commits on two branches, a merge, packing with threads, fsck, log, blame, archive.
set -euo pipefail
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_PAGER=cat
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
git init -q -b main tree
cd tree
git config gc.auto 0
git config core.preloadIndex true

change() {      # change N: one file of 40 is rewritten in part, one is added
    local name=part/$(($1 % 8))/file$(($1 % 40))
    mkdir -p "${name%/*}"
    seq "$1" $(($1 * 7 % 400 + $1 + 50)) | sed "s/\$/ line of change $(($1 % 5))/" >>"$name"
    echo "text of $1" >"part/single$1"
    GIT_AUTHOR_DATE="$((1600000000 + $1 * 60)) +0000" GIT_COMMITTER_DATE="$((1600000000 + $1 * 60)) +0000"
    export GIT_AUTHOR_DATE GIT_COMMITTER_DATE
    git add -A
    git commit -q -m "change $1" -m "The body of change $1."
}

for n in $(seq 1 150); do change "$n"; done
git checkout -q -b side HEAD~50
for n in $(seq 1001 1040); do change "$n"; done
git checkout -q main
git merge -q -X ours -m merge side
git tag -a -m first v1
git repack -a -d -f -q --threads=2 --window=50 --depth=30
git fsck --full --strict --no-progress
git log --stat --format='%H %an %ad %s' | sha256sum
git log -p -M --format=%H | sha256sum
git blame part/1/file1 | sha256sum
git grep -c 'change 3' HEAD -- part | sha256sum
git diff --shortstat v1~100 v1
git archive HEAD | sha256sum
git clone -q --bare . ../copy.git
git -C ../copy.git rev-parse main side
git rev-parse HEAD^{tree}
git status --porcelain
git count-objects -v | grep -E '^(count|in-pack|packs|garbage)'
cd ..
rm -rf tree copy.git
