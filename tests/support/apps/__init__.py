"""Applications that uvicorn serves: the generated one, with what its owner might add."""
