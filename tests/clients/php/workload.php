<?php
// Predis's cluster mode at work; README.md beside this folder tells what a client program does and prints.
//
// usage: workload.php HOST:PORT,HOST:PORT,... NAME LANES PAUSE_MS
// PHP has no threads: LANES must be 1.
require 'Predis/autoload.php';

const KEYS = 60;

function attempt(int $lane, string $op, string $key, string $argument, callable $call): void
{
    $start = microtime(true) * 1000;
    try {
        $result = $call();
        if ($result instanceof Predis\Response\Status) {
            $result = $result->getPayload();
        }
        $text = $result === null ? 'nil' : ($result === 'OK' ? 'OK' : "=$result");
    } catch (Exception $error) {
        $text = '!' . preg_replace('/\s+/', ' ', get_class($error) . ': ' . $error->getMessage());
    }
    printf("%.3f\t%.3f\t%d\t%s\t%s\t%s\t%s\n", $start, microtime(true) * 1000, $lane, $op, $key, $argument, $text);
}

function standardInputEnded(): bool
{
    $read = [STDIN];
    $write = $except = [];
    return stream_select($read, $write, $except, 0) > 0 && fgets(STDIN) === false;
}

[, $addresses, $name, , $pause] = $argv;
$seeds = array_map(fn ($address) => "tcp://$address", explode(',', $addresses));
$client = new Predis\Client($seeds, ['cluster' => 'redis']);
echo '# ', Predis\Client::VERSION, "\n";
for ($turn = 0; !standardInputEnded(); $turn++) {
    $one = "$name:0:" . $turn % KEYS;
    $other = "$name:0:" . $turn * 7 % KEYS;
    $value = "$one#$turn";
    attempt(0, 'SET', $one, $value, fn () => $client->set($one, $value));
    attempt(0, 'GET', $other, '', fn () => $client->get($other));
    attempt(0, 'INCR', "$one:n", '', fn () => $client->incr("$one:n"));
    attempt(0, 'GET', "$other:n", '', fn () => $client->get("$other:n"));
    usleep((int) $pause * 1000);
}
