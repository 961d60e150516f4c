#!/usr/bin/env perl
# What Perl's MIME::Parser sees in messages, in the form described in python.py. Uuencoded files count, as it extracts them.
use strict;
use warnings;
use MIME::Parser;
use Digest::SHA qw(sha256_hex);
use JSON::PP;

sub walk {
    my ($part, $parent, $index, $seen) = @_;
    my $kind = lc $part->effective_type;
    if ($kind =~ m{^multipart/} && $part->parts) {
        my $number = 0;
        walk($_, $part, $number++, $seen) for $part->parts;
        return;
    }
    my $signature = $parent && $parent->effective_type eq 'multipart/signed' && $index == 1;
    return if $signature && $kind =~ m{(pgp|pkcs7)-signature$};
    my $name = $part->head->recommended_filename;
    # Any line that says "begin 201" starts a file for this reader; one without content is none.
    my $extracted = defined $part->head->mime_attr('content-type.x-unix-mode');
    return if $extracted && $part->bodyhandle && !length $part->bodyhandle->as_string;
    my $disposition = lc($part->head->mime_attr('content-disposition') || 'inline');
    if ($disposition ne 'inline' || (defined $name && length $name) || $kind !~ m{^text/(plain|html)$}) {
        my $cid = $part->head->get('Content-ID') // '';
        $cid =~ s/^[\s<]+|[\s>]+$//g;
        push @{$seen->{attachments}}, [$kind, $name // '', $cid];
    } else {
        my $text = $part->bodyhandle ? $part->bodyhandle->as_string : '';
        $text =~ s/\r\n/\n/g;
        push @{$seen->{texts}}, substr(sha256_hex($text), 0, 16);
    }
}

# Its decoders warn of lines they find odd; what they make of them is what counts.
local $SIG{__WARN__} = sub {};
while (my $path = <STDIN>) {
    chomp $path;
    my $seen = {file => $path, attachments => [], texts => []};
    my $parser = MIME::Parser->new;
    $parser->output_to_core(1);
    $parser->tmp_to_core(1);
    $parser->extract_nested_messages(0);
    $parser->extract_uuencode(1);
    my $entity = eval { $parser->parse_open($path) };
    if ($entity) { walk($entity, undef, 0, $seen) } else { $seen->{error} = 'failed' }
    print JSON::PP->new->canonical->latin1->ascii->encode($seen), "\n";
}
