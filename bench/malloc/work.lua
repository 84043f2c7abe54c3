-- work.lua - tables and strings, built and dropped.
-- SPDX-License-Identifier: MIT
local total = 0
for round = 1, 3 do
	local t = {}
	for i = 1, 120000 do
		t[i] = { name = "item" .. i, value = i * round, list = { i, i + 1, i + 2 } }
	end
	table.sort(t, function(a, b) return a.name < b.name end)
	local s = {}
	for i = 1, #t, 7 do
		s[#s + 1] = t[i].name:upper():rep(2)
	end
	total = total + #table.concat(s, ",")
end
print(total)
