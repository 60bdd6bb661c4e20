# Work for grep, sed, awk, find, xargs, join: small tools in pipes, many short processes.
set -euo pipefail
mkdir many
seq 1 120000 | awk '{ printf "%d %s word%d\n", $1, ($1 * 7919) % 10007, $1 % 997 }' >lines
split -l 300 -a 4 lines many/part
find many -type f -print0 | xargs -0 -P 4 -n 7 sha256sum | sort | sha256sum
find many -name '*a?' -size +0 -exec grep -c 'word7' {} + | sort | sha256sum
grep -nE '(1[0-9]{2}|99)[02468] word(1|22)' lines | sha256sum
grep -P '(?<=word)(\d)\1\b' lines | wc -l
grep -vwf <(seq 1 3 2000) lines | wc -l
awk '{ n[$3]++; s[$3] = s[$3] substr($2, 1, 2) } END { for (k in n) print k, n[k], length(s[k]) }' lines | sort | sha256sum
sed -E 's/([0-9]+) ([0-9]+) (word)/\3 \2 \1/; 1~3d; y/wo/WO/' lines | sha256sum
sort -k3,3 -k2,2n lines | uniq -f 2 -c | tail -n 2
join <(sort lines) <(seq 1 2 50000 | sort) | wc -l
cut -d' ' -f2 lines | paste -sd+ | tr '+' '\n' | tac | rev | fold -w 3 | sort | comm -12 - <(seq 1 100 | sort) | wc -l
{ diff <(head -n 3000 lines) <(head -n 3300 lines | tail -n 3000) || test $? = 1; } | sha256sum
head -c 30000 lines | od -x | md5sum
ls -lR --time-style=+ many | awk '{ print $1, $5, $6 }' | sha256sum
