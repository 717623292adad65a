module handler

go 1.26

require (
	github.com/aws/aws-lambda-go v1.55.1
	github.com/go-sql-driver/mysql v1.9.3
)

require filippo.io/edwards25519 v1.1.0 // indirect
