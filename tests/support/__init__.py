"""What the tests of the template share: generating projects, running them, and servers for them."""
