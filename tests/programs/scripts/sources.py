"""Writes two large sources for the compilers, the same ones each time: big.c and big.cc."""

import random

source = random.Random(42)


def expression(depth):
    if depth == 0:
        return source.choice(["a", "b", "c->x", "c->next->y", "table[a & 63]", str(source.randrange(1, 999))])
    return "(%s %s %s)" % (expression(depth - 1), source.choice("+ - * ^ & | <".split()), expression(depth - 1))


def function(n):
    lines = ["    %s %s= %s;" % (source.choice("ab"), source.choice("+-^"), expression(3)) for _ in range(4)]
    cases = ["    case %d: a += %s; break;" % (i, expression(2)) for i in range(8)]
    call = "f%d(b, a, c->next)" % source.randrange(n) if n else "a"
    return ("static int f%d(int a, int b, struct node *c)\n{\n%s\n    switch (a & 7) {\n%s\n    }\n"
            "    for (int i = 0; i < (b & 15); i++)\n        table[i] += %s;\n    return %s + b;\n}\n"
            % (n, "\n".join(lines), "\n".join(cases), expression(2), call))


with open("big.c", "w") as out:
    out.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n"
              "struct node { int x, y; struct node *next; };\nstatic int table[64];\n")
    out.write("\n".join(function(n) for n in range(200)))
    out.write("int (*const all[])(int, int, struct node *) = {%s};\n" % ", ".join("f%d" % n for n in range(200)))
    out.write("int main(void)\n{\n    struct node c = {1, 2, 0};\n    c.next = &c;\n    unsigned sum = 0;\n"
              "    for (int i = 0; i < 200; i++) sum = sum * 31 + (unsigned)all[i](i, i * 3, &c);\n"
              "    printf(\"%u\\n\", sum);\n    return 0;\n}\n")

with open("big.cc", "w") as out:
    out.write("#include <algorithm>\n#include <iostream>\n#include <map>\n#include <memory>\n#include <regex>\n"
              "#include <string>\n#include <unordered_map>\n#include <vector>\n")
    for n in range(6):
        out.write("struct key%d { int v; bool operator<(const key%d &o) const { return v < o.v; } };\n"
                  "static size_t use%d(int n) {\n    std::map<key%d, std::vector<std::string>> m;\n"
                  "    for (int i = 0; i < n; i++) m[key%d{i %% 13}].push_back(std::to_string(i * %d));\n"
                  "    size_t s = 0;\n    for (auto &e : m) { std::sort(e.second.begin(), e.second.end()); s += e.second.front().size(); }\n"
                  "    return s;\n}\n" % (n, n, n, n, n, n + 1))
    out.write("int main() { size_t s = 0;\n%s    std::cout << s << std::regex_replace(\"abc\", std::regex(\"b+\"), \"x\") << \"\\n\";\n}\n"
              % "".join("    s += use%d(500);\n" % n for n in range(6)))
