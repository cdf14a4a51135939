import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Supplier;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisCluster;

/**
 * Jedis's JedisCluster at work; README.md beside this folder tells what a client program does and prints.
 *
 * usage: Workload HOST:PORT,HOST:PORT,... NAME LANES PAUSE_MS
 */
public final class Workload {
    private static final int KEYS = 60;
    private static volatile boolean stopped;

    private static synchronized void tell(String line) {
        System.out.println(line);
    }

    private static double milliseconds() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1e3 + now.getNano() / 1e6;
    }

    private static void attempt(int lane, String op, String key, String argument, Supplier<Object> call) {
        double start = milliseconds();
        String text;
        try {
            Object result = call.get();
            text = result == null ? "nil" : result.equals("OK") ? "OK" : "=" + result;
        } catch (RuntimeException error) {
            text = "!" + error.toString().replaceAll("\\s+", " ");
        }
        tell(String.format(Locale.ROOT, "%.3f\t%.3f\t%d\t%s\t%s\t%s\t%s", start, milliseconds(), lane, op, key, argument,
            text));
    }

    private static void work(JedisCluster client, String name, int lane, long pause) {
        try {
            for (int turn = 0; !stopped; turn++) {
                String one = name + ":" + lane + ":" + turn % KEYS;
                String other = name + ":" + lane + ":" + turn * 7 % KEYS;
                String value = one + "#" + turn;
                attempt(lane, "SET", one, value, () -> client.set(one, value));
                attempt(lane, "GET", other, "", () -> client.get(other));
                attempt(lane, "INCR", one + ":n", "", () -> client.incr(one + ":n"));
                attempt(lane, "GET", other + ":n", "", () -> client.get(other + ":n"));
                Thread.sleep(pause);
            }
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Set<HostAndPort> seeds = new HashSet<>();
        for (String address : arguments[0].split(",")) {
            seeds.add(HostAndPort.from(address));
        }
        long pause = Long.parseLong(arguments[3]);
        try (JedisCluster client = new JedisCluster(seeds)) {
            tell("# " + System.getProperty("version", ""));
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < Integer.parseInt(arguments[2]); i++) {
                int lane = i;
                Thread thread = new Thread(() -> work(client, arguments[1], lane, pause));
                thread.start();
                threads.add(thread);
            }
            while (System.in.read() != -1) {
            }
            stopped = true;
            for (Thread thread : threads) {
                thread.join();
            }
        }
    }
}
