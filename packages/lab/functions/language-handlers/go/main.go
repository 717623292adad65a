// Closes its connections in the callback of WithEnableSIGTERM. With ON_SIGTERM=exit the callback ends the process as
// well, which the client leaves to it.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	_ "github.com/go-sql-driver/mysql"
)

func main() {
	env := os.Getenv
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s:%s)/%s", env("DB_USER"), env("DB_PASSWORD"), env("DB_HOST"), env("DB_PORT"), env("DB_NAME")))
	if err != nil {
		panic(err)
	}
	handler := func(ctx context.Context) (int, error) {
		var id int
		return id, db.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id)
	}
	if env("ON_SIGTERM") == "" {
		lambda.Start(handler)
	}
	lambda.StartWithOptions(handler, lambda.WithEnableSIGTERM(func() {
		db.Close()
		if env("ON_SIGTERM") == "exit" {
			os.Exit(0)
		}
	}))
}
