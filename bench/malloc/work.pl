# work.pl - hashes, arrays and regular expressions.
# SPDX-License-Identifier: MIT
use strict;
use warnings;
my (%h, @lines);
for my $i (1 .. 250000) {
	push @{ $h{ "key" . $i % 5003 } }, "value $i " . "x" x ($i % 60);
}
for my $k (sort keys %h) {
	push @lines, join(",", map { s/value (\d+)/<$1>/r } @{ $h{$k} });
}
my $n = 0;
$n += length for @lines;
print scalar(@lines), " $n\n";
