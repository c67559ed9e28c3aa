"""What an audit hands on: the report that travels, SARIF, JUnit, and the view of what will run."""
