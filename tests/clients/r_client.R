# A client of the API: `Rscript r_client.R ADDRESS KEY`. Prints what it got as JSON.
library(httr2)
arguments <- commandArgs(trailingOnly = TRUE)
asked <- req_headers(request(arguments[1]), "X-API-Key" = arguments[2])
rows <- resp_body_json(req_perform(req_url_path_append(asked, "fetch-data")))$data
table <- req_url_query(req_url_path_append(asked, "fetch-data"), format = "csv")
frame <- read.csv(text = resp_body_string(req_perform(table)), encoding = "UTF-8")
names <- vapply(rows, function(row) row$customer_name, "")
stopifnot(identical(names, frame$customer_name))
cat(jsonlite::toJSON(list(names = names, version = jsonlite::unbox(as.character(packageVersion("httr2"))))))
