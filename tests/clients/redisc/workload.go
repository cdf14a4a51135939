// redigo with its cluster client redisc at work; README.md beside this folder tells what a client program does and prints.
//
// usage: workload HOST:PORT,HOST:PORT,... NAME LANES PAUSE_MS
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/mna/redisc"
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

// do runs one command as redisc's users do: over a connection of the cluster's pools that follows redirections. After an
// error that no server sent the cluster is looked at anew, which redisc leaves to its user.
func do(cluster *redisc.Cluster, command string, arguments ...interface{}) (interface{}, error) {
	connection, err := redisc.RetryConn(cluster.Get(), 5, 20*time.Millisecond)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	reply, err := connection.Do(command, arguments...)
	if err != nil {
		if _, fromServer := err.(redis.Error); !fromServer {
			cluster.Refresh()
		}
	}
	return reply, err
}

func attempt(cluster *redisc.Cluster, lane int, command, key, argument string) {
	arguments := []interface{}{key}
	if argument != "" {
		arguments = append(arguments, argument)
	}
	start := milliseconds()
	reply, err := do(cluster, command, arguments...)
	var text string
	switch value := reply.(type) {
	case nil:
		text = "nil"
	case []byte:
		text = "=" + string(value)
	case int64:
		text = fmt.Sprintf("=%d", value)
	default:
		text = fmt.Sprint(value)
	}
	if err != nil {
		text = "!" + strings.Join(strings.Fields(err.Error()), " ")
	}
	tell(fmt.Sprintf("%.3f\t%.3f\t%d\t%s\t%s\t%s\t%s", start, milliseconds(), lane, command, key, argument, text))
}

func work(cluster *redisc.Cluster, name string, lane int, pause time.Duration) {
	for turn := 0; !stopped.Load(); turn++ {
		one, other := fmt.Sprintf("%s:%d:%d", name, lane, turn%keys), fmt.Sprintf("%s:%d:%d", name, lane, turn*7%keys)
		attempt(cluster, lane, "SET", one, fmt.Sprintf("%s#%d", one, turn))
		attempt(cluster, lane, "GET", other, "")
		attempt(cluster, lane, "INCR", one+":n", "")
		attempt(cluster, lane, "GET", other+":n", "")
		time.Sleep(pause)
	}
}

func main() {
	name := os.Args[2]
	lanes, _ := strconv.Atoi(os.Args[3])
	pause, _ := strconv.Atoi(os.Args[4])
	cluster := &redisc.Cluster{
		StartupNodes: strings.Split(os.Args[1], ","),
		DialOptions:  []redis.DialOption{redis.DialConnectTimeout(5 * time.Second), redis.DialReadTimeout(5 * time.Second)},
		CreatePool: func(address string, options ...redis.DialOption) (*redis.Pool, error) {
			return &redis.Pool{
				MaxIdle: 8,
				Dial:    func() (redis.Conn, error) { return redis.Dial("tcp", address, options...) },
			}, nil
		},
	}
	if err := cluster.Refresh(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	tell("# " + os.Getenv("VERSION"))
	var group sync.WaitGroup
	for lane := 0; lane < lanes; lane++ {
		group.Add(1)
		go func(lane int) {
			defer group.Done()
			work(cluster, name, lane, time.Duration(pause)*time.Millisecond)
		}(lane)
	}
	io.Copy(io.Discard, os.Stdin)
	stopped.Store(true)
	group.Wait()
}
