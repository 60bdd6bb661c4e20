# Work for perl: hashes, sorting, regexes, closures, fork and pipes. Prints a result that never varies.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Storable qw(freeze thaw);
use POSIX ();

my $state = 1;
sub chance { $state = ($state * 1103515245 + 12345) % 2147483648; return $state % shift }
sub word { return join '', map { chr(97 + chance(26)) } 1 .. 1 + chance(30) }

my @words = map { word() } 1 .. 60000;
my %count;
$count{substr $_, 0, 3}++ for @words;
my %nested;
push @{ $nested{length $_}{substr $_, 0, 1} }, $_ for @words;
print "hash ", sha256_hex(join ',', map { "$_=$count{$_}" } sort keys %count), "\n";
print "nested ", sha256_hex(join ',', map { my $n = $_; map { scalar @{ $nested{$n}{$_} } } sort keys %{ $nested{$n} } } sort { $a <=> $b } keys %nested), "\n";
print "sort ", sha256_hex(join ',', sort { length $a <=> length $b or $b cmp $a } @words), "\n";

my $text = join ' ', @words;
my @found = $text =~ /\b([a-e]+[x-z]\w*?)(?=\s)/g;
(my $changed = $text) =~ s/(\w)(\w*)/\u$1$2$1/g;
$changed =~ tr/a-m/n-z/;
print "regex ", scalar(@found), " ", sha256_hex($changed), "\n";
my @parts = split /[aeiou]+/, $text;
print "split ", scalar(@parts), " ", sha256_hex(join '|', @parts), "\n";

my $grown = '';
$grown .= $words[$_ % @words] x ($_ % 7) for 1 .. 200000;
print "grown ", length($grown), " ", sha256_hex($grown), "\n";

my $copy = thaw(freeze(\%nested));
print "storable ", scalar(keys %$copy), "\n";
my @closures = map { my $n = $_; sub { return $n * shift } } 1 .. 50000;
my $sum = 0;
$sum += $_->(3) for @closures;
print "closures $sum\n";
printf "sprintf %s\n", sha256_hex(join '', map { sprintf '%*s|%-10.3f|%x', $_ % 50, $_, $_ / 7, $_ } 1 .. 30000);

for my $child (1 .. 8) {
    pipe(my $in, my $out) or die;
    my $pid = fork // die;
    if (!$pid) {
        my @mine = sort map { $_ x $child } @words[0 .. 5000];
        print $out sha256_hex(join ',', @mine);
        close $out;
        POSIX::_exit($child);
    }
    close $out;
    my $answer = <$in>;
    waitpid $pid, 0;
    print "child $child ", $? >> 8, " $answer\n";
}
print "command ", sha256_hex(scalar `perl -e 'print join ",", map { \$_ ** 2 } 1 .. 20000'`), "\n";
