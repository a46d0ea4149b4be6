"""What the API takes and answers: operations, parameters, bodies and errors."""
