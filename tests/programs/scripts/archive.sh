# Work for tar, xz, zstd, gzip: packs a tree with two threads, unpacks it, compares; archives are kept.
set -euo pipefail
mkdir tree
for n in $(seq 1 300); do
    mkdir -p tree/$((n % 17))
    seq "$n" $((n * 40)) >tree/$((n % 17))/file$n
done
find tree -exec touch -h -d @1600000000 {} +
tar --sort=name --owner=0 --group=0 --numeric-owner --mode=a=rwX -cf tree.tar tree
xz -T2 -3 --block-size=2MiB -k tree.tar
zstd -q -T2 -9 tree.tar -o tree.tar.zst
zstd -q -19 --long -T2 tree/1/file290 -o hard.zst 2>&1
gzip -nk tree.tar
bzip2 -k tree.tar
for packer in xz zstd gzip bzip2; do
    mkdir out
    tar -x -C out --use-compress-program=$packer -f tree.tar.$(echo $packer | sed 's/gzip/gz/; s/bzip2/bz2/; s/zstd/zst/; s/bgz/bz2/')
    diff -r tree out/tree
    rm -r out
done
zstd -q -t hard.zst
xz -T2 -t tree.tar.xz
xz --robot -l tree.tar.xz | grep -E '^(file|totals)'
sha256sum tree.tar*
rm -r tree
