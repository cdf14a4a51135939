// go-redis's ClusterClient at work; README.md beside this folder tells what a client program does and prints.
//
// usage: workload HOST:PORT,HOST:PORT,... NAME LANES PAUSE_MS
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const keys = 60

var (
	stopped  atomic.Bool
	printing sync.Mutex
	output   = bufio.NewWriter(os.Stdout)
)

func tell(line string) {
	printing.Lock()
	defer printing.Unlock()
	output.WriteString(line + "\n")
	output.Flush()
}

func milliseconds() float64 { return float64(time.Now().UnixMicro()) / 1000 }

func attempt(lane int, op, key, argument string, call func() (string, error)) {
	start := milliseconds()
	text, err := call()
	if errors.Is(err, redis.Nil) {
		text = "nil"
	} else if err != nil {
		text = "!" + strings.Join(strings.Fields(err.Error()), " ")
	}
	tell(fmt.Sprintf("%.3f\t%.3f\t%d\t%s\t%s\t%s\t%s", start, milliseconds(), lane, op, key, argument, text))
}

func work(client *redis.ClusterClient, name string, lane int, pause time.Duration) {
	ctx := context.Background()
	get := func(key string) func() (string, error) {
		return func() (string, error) {
			value, err := client.Get(ctx, key).Result()
			return "=" + value, err
		}
	}
	for turn := 0; !stopped.Load(); turn++ {
		one, other := fmt.Sprintf("%s:%d:%d", name, lane, turn%keys), fmt.Sprintf("%s:%d:%d", name, lane, turn*7%keys)
		value := fmt.Sprintf("%s#%d", one, turn)
		attempt(lane, "SET", one, value, func() (string, error) { return client.Set(ctx, one, value, 0).Result() })
		attempt(lane, "GET", other, "", get(other))
		attempt(lane, "INCR", one+":n", "", func() (string, error) {
			count, err := client.Incr(ctx, one+":n").Result()
			return fmt.Sprintf("=%d", count), err
		})
		attempt(lane, "GET", other+":n", "", get(other+":n"))
		time.Sleep(pause)
	}
}

func main() {
	name := os.Args[2]
	lanes, _ := strconv.Atoi(os.Args[3])
	pause, _ := strconv.Atoi(os.Args[4])
	// A refused connection is no reason for go-redis to look at the cluster anew, only MOVED, ASK and this interval are
	// (60 s unless told otherwise): until then a primary that is gone is asked again and again.
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                      strings.Split(os.Args[1], ","),
		ClusterStateReloadInterval: time.Second,
	})
	tell("# " + redis.Version())
	var group sync.WaitGroup
	for lane := 0; lane < lanes; lane++ {
		group.Add(1)
		go func(lane int) {
			defer group.Done()
			work(client, name, lane, time.Duration(pause)*time.Millisecond)
		}(lane)
	}
	io.Copy(io.Discard, os.Stdin)
	stopped.Store(true)
	group.Wait()
}
