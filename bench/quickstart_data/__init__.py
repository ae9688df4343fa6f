"""Generate the quickstart data set: support e-mails and the JSON that sorts them."""
