# Work for bash itself: arrays, substitutions, functions, subshells, pipes, coprocesses, here documents.
set -eu
declare -A seen=() length_of=()
declare -a words=()

for ((i = 0; i < 20000; i++)); do
    word=w$((i * 7919 % 10007))x$((i % 13))
    words+=("$word")
    seen[$word]=$((${seen[$word]:-0} + 1))
    length_of[${#word}]=${word^^}
done
echo "${#words[@]} ${#seen[@]} ${length_of[*]}"

text="${words[*]}"
echo "${#text}" "$(md5sum <<<"${text//x1/<one>}")"
[[ $text =~ (w[0-9]+x12)\ (w[0-9]+x0) ]] && echo "${BASH_REMATCH[@]}"
sorted=$(printf '%s\n' "${!seen[@]}" | sort)
echo "${sorted:0:60}" | tr '\n' ' '

fibonacci() { if (($1 < 2)); then echo "$1"; else echo $(($(fibonacci $(($1 - 1))) + $(fibonacci $(($1 - 2))))); fi; }
fibonacci 11

grown=
for ((i = 0; i < 3000; i++)); do grown+=$(printf '%*d' $((i % 50 + 1)) "$i"); done 2>&1
echo "${#grown}"

coproc cat
for ((i = 0; i < 500; i++)); do
    echo "line $i" >&"${COPROC[1]}"
    read -r answer <&"${COPROC[0]}"
done
echo "$answer"
exec {COPROC[1]}>&-
wait

mapfile -t lines < <(seq 1 50000)
echo "${#lines[@]} ${lines[49999]}"
for n in 1 2 3 4; do (for ((i = 0; i < 3000; i++)); do local_list+=("$n $i"); done; echo "${#local_list[@]} ${local_list[2999]}") >part$n & done
wait
cat part?
cat <<END
$(eval "$(printf 'f%s() { echo %s; }\n' {1..600}{,})"; f1; f600)
END
echo {a..e}{1..9} | wc -w
END_OF=$(seq 1 100000)
echo "${#END_OF}"
