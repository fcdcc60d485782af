"""The demo: an agency's book and two providers on loopback, so that nothing outside this machine is asked."""
