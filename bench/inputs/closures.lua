-- closures.lua - Lua compiling and running: source text is made, compiled, run and dropped. A benchmark's input.
--
--     lua5.4 closures.lua [ROUNDS]
--
-- Prints one number that depends on all of it, the same wherever it runs.

local rounds = tonumber(arg[1]) or 3
local state = 1

local function below(count)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % count
end

-- The source of a module with `count` functions, each with an upvalue, a loop, a table and strings.
local function make_source(count)
    local lines = { "local shared, functions = {}, {}" }
    for i = 1, count do
        lines[#lines + 1] = string.format([[
functions[%d] = function(a, b)
    local list = { a + %d, b * %d, name = "function-%d" }
    for step = 1, %d do
        list[#list + 1] = step %% 3 == 0 and list[step] or { step, value = list.name .. step }
    end
    shared[list.name] = (shared[list.name] or 0) + #list
    return function(c) return c + #list + shared[list.name] end
end]], i, below(100), below(100), i, 4 + below(12))
    end
    lines[#lines + 1] = "return functions"
    return table.concat(lines, "\n")
end

local function run(functions, times)
    local sum, closures = 0, {}
    for turn = 1, times do
        for i, f in ipairs(functions) do
            closures[i] = f(i, turn)
        end
        for i, f in ipairs(closures) do
            sum = sum + f(i)
        end
    end
    return sum
end

-- Words counted and sorted: strings of all lengths in a growing table.
local function count_words(text)
    local count, order = {}, {}
    for word in text:gmatch("[%a_]+%-?%d*") do
        if not count[word] then
            count[word] = 0
            order[#order + 1] = word
        end
        count[word] = count[word] + 1
    end
    table.sort(order, function(a, b) return count[a] == count[b] and a < b or count[a] > count[b] end)
    return #order + count[order[1]] + #table.concat(order, " ")
end

local check = 0
for _ = 1, rounds do
    local source = make_source(1500)
    check = check + run(assert(load(source))(), 12) + count_words(source)
end
print(check)
