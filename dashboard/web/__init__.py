"""What the server adds to Streamlit: headers, the stylesheet, and files."""
