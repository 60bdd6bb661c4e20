# hashes.pl - what Perl programs do: hashes of arrays, regular expressions, strings that grow. A benchmark's input.
#
#     PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 perl hashes.pl [ROUNDS]
#
# Prints one number that depends on all of it, the same wherever it runs. The environment fixes the order of hashes.
use strict;
use warnings;

my $rounds = shift // 4;
my $state  = 1;
my $check  = 0;

sub below {
    my ($count) = @_;
    $state = ($state * 1103515245 + 12345) % 2147483648;
    return int($state / 65536) % $count;
}

# Lines as of a log: "host-17 GET /page/523 200 4711".
sub make_log {
    my @methods = qw(GET PUT POST DELETE);
    my $log = '';
    $log .= sprintf("host-%d %s /page/%d %d %d\n", below(500), $methods[below(4)], below(2000), 200 + below(5) * 100,
        below(30000)) for 1 .. 15000;
    return $log;
}

sub read_log {
    my ($log) = @_;
    my (%hosts, %pages);
    for my $line (split /\n/, $log) {
        next unless $line =~ m{^(host-\d+) (\w+) (/page/(\d+)) (\d{3}) (\d+)$};
        push @{ $hosts{$1}{$2} }, { page => $3, status => $5, bytes => $6 };
        $pages{$3}{$1}++;
    }
    return (\%hosts, \%pages);
}

sub sum_up {
    my ($hosts, $pages) = @_;
    for my $host (sort keys %$hosts) {
        for my $method (sort keys %{ $hosts->{$host} }) {
            $check += $_->{bytes} % 97 + $_->{status} for @{ $hosts->{$host}{$method} };
        }
    }
    $check += join(',', map { "$_=" . scalar keys %{ $pages->{$_} } } sort keys %$pages) =~ tr/1-4//;
}

for my $round (1 .. $rounds) {
    my $log = make_log();
    sum_up(read_log($log));
    (my $other = $log) =~ s{/page/(\d+)}{'/sheet/' . reverse $1}ge;
    my @gets = $other =~ /GET/g;
    $check += length($other) + @gets;
}
print "$check\n";
