" Work for vim -es: a long scripted edit with undo, folds, windows, syntax and regular expressions.
set nocompatible viminfo= noswapfile undolevels=1000
call setline(1, map(range(1, 20000), 'printf("%d line %s", v:val, repeat("ab ", v:val % 20))'))
%s/\v(\d+) line (.*)/\2 -> \1/e
g/7$/m0
g/3$/normal! yyp
v/1/s/ab/xyz/g
sort n /->/
for n in range(300)
    execute 'normal! ' . (n * 11 + 1) . 'Gdd3p'
endfor
for n in range(200)
    undo
endfor
for n in range(150)
    redo
endfor
let words = {}
for text in getline(1, '$')
    for word in split(text)
        let words[word] = get(words, word, 0) + 1
    endfor
endfor
for n in range(20)
    split
    enew!
    call append(0, sort(keys(words))[: n * 30])
    silent write! `='window' . n`
    bwipeout!
endfor
call append(0, [string(len(words)), string(line('$')), string(reduce(values(words), {a, b -> a + b}))])
silent write! edited
qall!
